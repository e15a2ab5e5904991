"""Networks as scikit-learn's estimators, which train through the same compiled code as any other network.

Uses networks and below, and scikit-learn, which nothing below it does. Begin with :mod:`.classifier` and
:mod:`.regressor`, what users see; :mod:`.base` is what both share, and :mod:`.public` what there is in their place
where there is no scikit-learn.
"""
