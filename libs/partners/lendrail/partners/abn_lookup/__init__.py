"""ABN Lookup: asks the Australian Business Register whether a number is in use, and under which names.

No partner: it finances nothing and is not in `PARTNERS`. Validation asks it before an application goes anywhere.
"""

from lendrail.partners.abn_lookup.mapping import FINDINGS as FINDINGS
from lendrail.partners.abn_lookup.mapping import Asked as Asked
from lendrail.partners.abn_lookup.mapping import Finding as Finding
from lendrail.partners.abn_lookup.mapping import meaning as meaning
from lendrail.partners.abn_lookup.mapping import missing as missing
from lendrail.partners.abn_lookup.mapping import question as question
from lendrail.partners.abn_lookup.profile import AUTH as AUTH
from lendrail.partners.abn_lookup.profile import FACTS as FACTS
from lendrail.partners.abn_lookup.profile import NAME as NAME
from lendrail.partners.abn_lookup.profile import OPERATION as OPERATION
from lendrail.partners.abn_lookup.profile import OPERATIONS as OPERATIONS
from lendrail.partners.abn_lookup.profile import TITLE as TITLE
