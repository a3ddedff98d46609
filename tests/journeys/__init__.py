"""Whole journeys through a real server: real sockets, real files, other people's clients, real news."""
