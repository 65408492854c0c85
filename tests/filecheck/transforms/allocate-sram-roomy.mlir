// RUN: slmc opt --no-locations %s -p 'allocate-sram{size_bytes=65536}'
// c could lie where a was, but the engines may still work on a: there is room elsewhere.
// CHECK: tile.sram_usage = {used = 8192 : i64, lower_bound = 8192 : i64, size = 65536 : i64}
// CHECK: tile.alloc "a" in "sram" bytes 4096 at 8192 : !tile.buffer
// CHECK: tile.alloc "b" in "sram" bytes 4096 at 4096 : !tile.buffer
// CHECK: tile.alloc "c" in "sram" bytes 2048 at 0 : !tile.buffer
func.func @generate() {
  %z = arith.constant 0 : index
  %a = tile.alloc "a" in "sram" bytes 4096 : !tile.buffer
  %av = tile.view %a in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
  tile.vun "mov" %av constant 1.000000e+00
  %b = tile.alloc "b" in "sram" bytes 4096 : !tile.buffer
  %bv = tile.view %b in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
  tile.vun "exp" %bv, %av
  %c = tile.alloc "c" in "sram" bytes 2048 : !tile.buffer
  %cv = tile.view %c in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
  tile.vun "exp" %cv, %bv
  %s = tile.alloc "s" in "smem" bytes 64 : !tile.buffer
  %sv = tile.view %s in smem + 0 as f32 [1, 1, 1, 1] strides [4, 0, 0, 0]
  tile.vred "sum" %sv, %cv
  func.return
}
