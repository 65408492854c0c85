// RUN: not slmc opt %s
// CHECK: error: tile.alloc: a buffer is in sram or smem, found "dram"
%b = tile.alloc "b" in "dram" bytes 16 : !tile.buffer
// -----
// CHECK: error: tile.alloc: a buffer has at least 1 byte, found 0
%b = tile.alloc "b" in "sram" bytes 0 : !tile.buffer
// -----
// CHECK: error: tile.view: unknown space or dtype: {{.*}}f8
%b = tile.alloc "b" in "sram" bytes 16 : !tile.buffer
%v = tile.view %b in sram + 0 as f8 [4, 1, 1, 1] strides [4, 0, 0, 0]
// -----
// CHECK: error: tile.view: a view of sram or smem has a buffer, a view of DRAM has none
%b = tile.alloc "b" in "sram" bytes 16 : !tile.buffer
%v = tile.view %b in weight + 0 as f32 [4, 1, 1, 1] strides [4, 0, 0, 0]
// -----
// CHECK: error: tile.view: a view has four extents and four strides
%b = tile.alloc "b" in "sram" bytes 16 : !tile.buffer
%v = tile.view %b in sram + 0 as f32 [4, 1, 1] strides [4, 0, 0, 0]
// -----
// CHECK: error: tile.view: an extent is at least 1
%b = tile.alloc "b" in "sram" bytes 16 : !tile.buffer
%v = tile.view %b in sram + 0 as f32 [0, 1, 1, 1] strides [4, 0, 0, 0]
// -----
// CHECK: error: tile.vun: {{.*}} has no function "cosh" (known:
%b = tile.alloc "b" in "sram" bytes 16 : !tile.buffer
%v = tile.view %b in sram + 0 as f32 [4, 1, 1, 1] strides [4, 0, 0, 0]
tile.vun "cosh" %v, %v
// -----
// CHECK: error: tile.vun: tile.vun takes exactly one of a view, a constant and a scalar
%b = tile.alloc "b" in "sram" bytes 16 : !tile.buffer
%v = tile.view %b in sram + 0 as f32 [4, 1, 1, 1] strides [4, 0, 0, 0]
tile.vun "mov" %v, %v constant 1.000000e+00
// -----
// CHECK: error: tile.lds: tile.lds moves 1, 2, 4, 8 bytes, found 3
%l = tile.lds 3 + 0 : index
// -----
// CHECK: error: tile.sts: tile.sts moves 1, 2, 4, 8 bytes, found 16
%c = arith.constant 1 : index
tile.sts 16 %c + 0
// -----
// CHECK: error: tile.view: groups are powers of two, those of i4 and e2m1 32 or more, found 1
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as i4 [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: groups are powers of two, those of i4 and e2m1 32 or more, found 16
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as i4 group 16 [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: groups are powers of two, those of i4 and e2m1 32 or more, found 48
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as i8 group 48 [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: groups are powers of two, those of i4 and e2m1 32 or more, found 0
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as i8 group 0 [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: groups are powers of two, those of i4 and e2m1 32 or more, found -32
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as f16 group -32 [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: groups are powers of two, those of i4 and e2m1 32 or more, found 16
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as e2m1 group 16 [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: only rows of i8 and i4 are sparse, found e4m3
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as e4m3 group 32 sparse [64, 1, 1, 1] strides [1, 64, 0, 0]
// -----
// CHECK: error: tile.view: only rows of i8 and i4 are sparse, found f16
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as f16 sparse [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: sparse rows cannot be blocked
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as i8 sparse blocked [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: i32 cannot be blocked
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as i32 blocked [64, 1, 1, 1] strides [0, 32, 0, 0]
// -----
// CHECK: error: tile.view: blocked rows have no stride of dimension 0, found 4
%b = tile.alloc "b" in "sram" bytes 64 : !tile.buffer
%v = tile.view %b in sram + 0 as f32 blocked [64, 1, 1, 1] strides [4, 32, 0, 0]
