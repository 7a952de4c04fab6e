"""What others take with them: a verdict in the formats of model cards, research objects and attestations.

formats       which formats there are
subject       a verdict with all that an export says of it
described     what was measured, in the words of others: model, data set, files
model_index   the front matter of a model card
eval_results  `.eval_results/*.yaml` as Hugging Face reads it
ro_crate      RO-Crate 1.1 with the profile Process Run Crate
predicate     what an attestation states, and what is needed to decide once more
attest        the in-toto statement of a verdict
signing       DSSE envelopes, Ed25519 keys
verify        an attestation checked offline: signature, digests, the decision itself
dataset       all verdicts, as JSON Lines and Parquet
"""
