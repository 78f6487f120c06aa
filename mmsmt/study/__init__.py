"""Study: classifiers with identical training, compared in one report."""
