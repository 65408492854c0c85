"""How each op of the slmq level becomes tile ops. The pass convert-slmq-to-tile puts the pieces together."""
