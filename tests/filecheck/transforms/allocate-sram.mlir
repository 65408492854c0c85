// RUN: slmc opt --no-locations %s -p 'allocate-sram{size_bytes=8192}'
// a and b live at the same time; c may lie where a was, because a is dead by then.
// CHECK: tile.sram_usage = {used = 8192 : i64, lower_bound = 8192 : i64, size = 8192 : i64}
// CHECK: tile.alloc "a" in "sram" bytes 4096 at [[A:[0-9]+]] : !tile.buffer
// CHECK-NOT: tile.alloc "b" in "sram" bytes 4096 at [[A]] :
// CHECK: tile.alloc "b" in "sram" bytes 4096 at
// CHECK: tile.alloc "c" in "sram" bytes 2048 at [[A]] : !tile.buffer
// CHECK: tile.alloc "s" in "smem" bytes 64 at 256 : !tile.buffer
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
