//! How features and anchors become a map and a score.
