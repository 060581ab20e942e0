"""How old what we show is: one meaning, wherever it is shown."""

import datetime as dt

from tests import make

from lendrail.contracts.age import age_seconds


def test_the_age_is_whole_seconds_and_never_less_than_none() -> None:
    for seconds, age in ((0.0, 0), (0.999, 0), (61.5, 61), (-3.0, 0), (86_400.0, 86_400)):
        assert age_seconds(make.NOW, make.NOW + dt.timedelta(seconds=seconds)) == age
