// RUN: not slmc opt %s
// CHECK: error: isa.alu: isa.alu has no function "cube"
isa.program "p" {
  isa.alu "cube" x1, x0, 1
}
// -----
// CHECK: error: isa.descriptor: a descriptor has 32 bytes
isa.program "p" {
  isa.descriptor "d" at 1536 "00"
}
