"""The mock cluster of librdkafka as a process of its own: prints the brokers' addresses, ends with its input."""

import sys

from confluent_kafka import Producer

producer = Producer(
    {"test.mock.num.brokers": 3, "bootstrap.servers": "nobody:1", "log_level": 0, "allow.auto.create.topics": True}
)
brokers = producer.list_topics(timeout=20).brokers.values()
print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
sys.stdin.read()
