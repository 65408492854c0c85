// RUN: slmc opt --no-locations %s -p 'allocate-dram{bank_bytes=32768}'
// Strips of gate and up take turns, 4 KiB each: they are two strips apart, in each layer. A weight that goes with no other follows at once.
// CHECK: key = "layers.{i}.gate", {{.*}}, offsets = array<i64: 0, 16896>
// CHECK: key = "layers.{i}.up", {{.*}}, offsets = array<i64: 8192, 25088>
// CHECK: key = "layers.{i}.down", {{.*}}, offsets = array<i64: 12544, 29440>
builtin.module attributes {tile.plan = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 8192 : i64, kv_heads = 1 : i64, key_tile = 64 : i64}} {
  func.func @generate() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %b = tile.alloc "x" in "sram" bytes 128 : !tile.buffer
    %v = tile.view %b in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    scf.for %l = %c0 to %c2 step %c1 {
      %g = tile.weight {kind = "matrix", key = "layers.{i}.gate", format = "i8", rows = 64 : i64, columns = 64 : i64, layers = array<i64: 0, 1>} layer %l : index
      %gv = tile.view weight + %g + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
      tile.load %v, %gv
      %u = tile.weight {kind = "matrix", key = "layers.{i}.up", format = "i8", rows = 64 : i64, columns = 64 : i64, beside = "layers.{i}.gate", layers = array<i64: 0, 1>} layer %l : index
      %uv = tile.view weight + %u + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
      tile.load %v, %uv
      %d = tile.weight {kind = "matrix", key = "layers.{i}.down", format = "i8", rows = 64 : i64, columns = 64 : i64, layers = array<i64: 0, 1>} layer %l : index
      %dv = tile.view weight + %d + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
      tile.load %v, %dv
    }
    func.return
  }
}
