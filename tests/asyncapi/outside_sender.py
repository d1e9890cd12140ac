"""A system outside: it has another AMQP library and the AsyncAPI document, and nothing of pavane.

`outside_sender.py DOCUMENT OPERATION USER PASSWORD < PAYLOAD` sends one event.
"""

import json
import sys
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

import pika  # type: ignore[import-untyped]

document: Any = json.loads(Path(sys.argv[1]).read_text())
operation = document["operations"][sys.argv[2]]
channel = document["channels"][operation["channel"]["$ref"].removeprefix("#/channels/")]
message = document["components"]["messages"][operation["messages"][0]["$ref"].rpartition("/")[2]]
server = next(iter(document["servers"].values()))
host, _, port = server["host"].rpartition(":")
vhost = urllib.parse.unquote(server["pathname"].removeprefix("/")) or "/"
user = pika.PlainCredentials(sys.argv[3], sys.argv[4])

asked = message["headers"]["properties"]
mine = {"cloudEvents_id": str(uuid.uuid4()), "cloudEvents_source": "urn:a-shop"}
headers = {name: asked[name].get("const", mine.get(name)) for name in message["headers"]["required"]}
amqp = operation["bindings"]["amqp"]
properties = pika.BasicProperties(message["contentType"], headers=headers, delivery_mode=amqp["deliveryMode"])
exchange = channel["bindings"]["amqp"]["exchange"]["name"]

with pika.BlockingConnection(pika.ConnectionParameters(host, int(port), vhost, user)) as connection:
    broker = connection.channel()
    broker.confirm_delivery()
    broker.basic_publish(exchange, channel["address"], sys.stdin.buffer.read(), properties, amqp["mandatory"])
