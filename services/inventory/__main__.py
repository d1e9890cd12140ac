"""Run the inventory service on the servers of PAVANE_BROKER_URL and PAVANE_STATE_URL."""

from services.inventory import app

app.run()
