"""Real Kafka and MongoDB on this machine, for the command `lendrail` and for tests.

Both are ordinary processes on free loopback ports with their data in a folder of the caller:

    kafka = Kafka(folder).start()        kafka.bootstrap        kafka.stop() / .kill() / .restart()
    mongo = Mongo(folder).start()        mongo.url              (a restart keeps port and data)
"""

from lendrail.local.servers.errors import ServerError
from lendrail.local.servers.kafka import Kafka
from lendrail.local.servers.mongo import Mongo

__all__ = ["Kafka", "Mongo", "ServerError"]
