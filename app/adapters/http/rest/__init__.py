"""The handlers of the REST API. They parse requests and encode responses; `app/flows` makes the decisions.

news           POST and GET /api/v1/news
subscriptions  /api/v1/subscriptions
operations     statistics, connections, limits, health
metrics        /metrics
"""
