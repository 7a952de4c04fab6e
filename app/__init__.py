"""The service: papers, claims, reproductions and verdicts over a REST API.

A map of the house:

main           the ASGI application: create_app, lifespan, error handlers
reference      what the OpenAPI document says of the API as a whole
api            the routers, in two lists: public and protected
cli            the command `verdicts`
backup         the whole database in one file, and back
hot            what is read most, answered from memory before FastAPI is reached
webhooks       events brought to whoever asked for them
dashboard      what people see: server-rendered pages over the same queries
exports        what others take with them: verdicts for model cards, research objects, attestations; the whole data set
badges         what others embed to show a verdict
events         server-sent events: what happens to runs and verdicts, from a log that can be read again
catalogue      what is brought in from files: driver catalogues (TOML) and paper documents (JSON)
verdicts       decide (pure), issue (THE transaction), history, evidence, predictions
reproductions  the queue of runs: request, claim, heartbeat, finish, sweep, cancel
claims         reported numbers
designs        how many examples a decision takes, before any is measured
papers         papers, versions, the paper document
drivers        the catalogue of drivers
access         who may do what: keys, scopes, limits, idempotency keys, the audit log
protocol       pure: driver specification, protocol axes, slices
statistics     pure: intervals, equivalence, posterior, sequential, design, GRIM, paired
models         SQLAlchemy tables, one noun a file
core           knows no domain: settings, database, errors, queue, pagination, logging
client         a client of the API for Python: typed, waiting and awaiting; knows nothing of the service
embedded       Postgres and a Redis-protocol server from wheels, and the supervisor of `verdicts up`

Imports point downwards in this list only; import-linter holds them to it (pyproject.toml).
"""
