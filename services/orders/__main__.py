"""Run the orders service on the servers of PAVANE_BROKER_URL and PAVANE_STATE_URL."""

from services.orders import app

app.run()
