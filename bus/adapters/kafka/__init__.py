"""Kafka through confluent-kafka (librdkafka); quotas through kafka-python."""
