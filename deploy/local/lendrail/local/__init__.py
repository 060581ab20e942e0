"""The whole stack on one machine: Kafka, MongoDB, an SMTP sink, the services and the sandbox, as separate processes."""
