"""What crosses the network, as msgspec structs; shared by server and client, without behaviour."""
