"""The learners: each predicts a row's effect from its features, on any scikit-learn regressor."""
