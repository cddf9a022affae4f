"""Every door: HTML, JSON, WebSocket. The only rooms that speak HTTP."""
