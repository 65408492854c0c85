"""Which number formats each slm operation gets: patterns of the pass convert-slm-to-slmq."""
