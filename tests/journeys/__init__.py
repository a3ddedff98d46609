"""Whole journeys through a real server: real sockets, real files, other libraries' clients, real news."""
