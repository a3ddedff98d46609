"""The handlers of the REST API. They turn bytes into typed values and values into bytes; flows decide.

news           POST and GET /api/v1/news
subscriptions  /api/v1/subscriptions
operations     statistics, connections, limits, health
metrics        /metrics
"""
