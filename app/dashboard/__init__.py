"""What people see: pages over the same queries as the API, rendered here, without a need for JavaScript.

routes     what every page has in common: admission, security headers, errors in HTML
render     templates to answers
assets     style, scripts and the vendored chart library, under addresses that carry the hash of their content
words      plain explanations of what the API says in one word
numbers    how numbers, shares and moments are written
charts     where things stand on an axis
texts      the texts of examples, where the data file lies with the service
detail     what a verdict's page and a paper's page show of one verdict
papers, verdicts, comparing, runs, drivers    the pages
asking     the form that asks for a reproduction
pages      all of them, in the order in which they are matched
"""
