"""Proofs of the risk code against R, simulation and real follow-up: long, and run by command."""
