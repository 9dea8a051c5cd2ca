//! The pipeline: journal, replicate, execute over two rings.
