"""From TensorIR to object code: the room that knows TVM."""
