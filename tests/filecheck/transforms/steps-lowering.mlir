// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// A step of 64 tokens: what is in front of a mixture works on 16 at a time, the mixture on all of them, 32 rows of an expert at once.
// CHECK: tile.alloc "tokens" in "smem" bytes 256
// A chunk begins at a multiple of its size; x has room for the step in DRAM, and so have the lists in SMEM.
// CHECK: scf.for %{{[0-9]+}} =
// CHECK: tile.alloc "choices" in "smem" bytes 1024
// CHECK: scf.for %[[START:[0-9]+]] =
// CHECK-NEXT: %[[BEHIND:[0-9]+]] = arith.subi %[[START]],
// CHECK-NEXT: arith.maxsi %[[BEHIND]],
// CHECK: tile.vtopk
// The sum is cleared by stores of a row tile.
// CHECK: tile.alloc "zeros" in "sram" bytes 1024
// CHECK: scf.for
// CHECK: tile.store
// One loop over the experts, in it the members, in it the fewest equal parts of at most 32.
// CHECK: scf.for %[[EXPERT:[0-9]+]] =
// CHECK-NEXT: tile.alloc "members" in "smem" bytes 256
// CHECK: arith.cmpi eq, %{{[0-9]+}}, %[[EXPERT]]
// CHECK: scf.if
// CHECK: %[[PARTS:[0-9]+]] = arith.divsi %{{[0-9]+}}, %{{[a-z0-9_]+}} : index
// CHECK: %[[SIZE:[0-9]+]] = arith.divsi %{{[0-9]+}}, %[[PARTS]] : index
// CHECK: scf.for %[[PART:[0-9]+]] =
// CHECK-NEXT: arith.muli %[[PART]], %[[SIZE]]
// CHECK: tile.alloc "gathered" in "sram" bytes 4096
// CHECK: tile.mm
// Rows of the sum come, get the expert's share, and go back.
// CHECK: tile.alloc "mixture_rows" in "sram" bytes 1024
// CHECK: tile.load
// CHECK: tile.vmad "mad"
// CHECK: tile.store
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 16 : i64, strip_bytes = 4096 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 1024 : i64, query_tile = 4 : i64, tokens = 64 : i64, expert_rows = 32 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %o = slm.layers "layers" [0, 0](%x) {
  ^bb0(%h: tensor<?x32xf32>):
    %m = slmq.rms_norm %h, #slm.weight<"m", tensor<32xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x32xf32>
    %l = slmq.matmul %m, #slm.weight<"layers.{i}.router", tensor<4x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x4xf32>
    %p, %c = slmq.top_k %l count 2 : tensor<?x4xf32>, tensor<?x2xi32>
    %n = slmq.rms_norm %h, #slm.weight<"n", tensor<32xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x32xf32>
    %y = slm.mixture "experts" 4(%n) weights %p chosen %c {
    ^bb0(%g: tensor<?x32xf32>):
      %d = slmq.matmul %g, #slm.weight<"layers.{i}.experts.{e}.w", tensor<32x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x32xf32>
      slm.yield %d : tensor<?x32xf32>
    } : tensor<?x32xf32> weights tensor<?x4xf32> chosen tensor<?x2xi32> -> tensor<?x32xf32>
    %z = slmq.add %h, %y : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    slm.yield %z : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %f = slmq.rms_norm %o, #slm.weight<"f", tensor<32xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x32xf32>
  %r = slmq.matmul %f, #slm.weight<"head", tensor<32x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return %r : tensor<?x32xf32>
}
}
