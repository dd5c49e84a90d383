//! S12, S13, S17 to S20, S24: what is carried once it was allowed.
