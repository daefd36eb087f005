"""The same named columns from leadscore and from its peers, on generated logs of growing size, values compared.

columns (which) · log (of what) · by_… (one engine a file) · worker (one engine in a process of its own) · measure
(seconds and bytes) · run (all of them, compared) · one_lead (a single lead) · report, plot (how it is told) · short
(what ``make bench`` runs). ``make bench-features`` runs all of it.
"""
