// RUN: slmc opt --no-locations %s -p fuse-strips,group-rows
// RUN: slmc opt %s -p fuse-strips,group-rows | slmc opt --no-locations -
// The embedding is a region of its own, as nothing is between it and the layers; the norm of whole rows of queries moves down to attention,
// past the strips of k; rotary embedding and rounding behind a product are part of its strips.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x16xf32> {
// CHECK-NEXT: %0 = slmq.rows() {
// CHECK-NEXT: %x = slmq.embed %tokens
// CHECK-NEXT: slmq.yield %x : tensor<?x16xf32>
// CHECK: slm.layers "layers" [0, 0](%0) {
// CHECK-NEXT: ^bb0(%h: tensor<?x16xf32>):
// CHECK-NEXT: %[[ROWS:[0-9]+]], %[[SCALES:[0-9]+]] = slmq.rows(%h) {
// CHECK-NEXT: ^bb0(%[[H:[0-9]+]]: tensor<?x16xf32>):
// CHECK-NEXT: %n = slmq.rms_norm %[[H]]
// CHECK-NEXT: %q8, %s = slmq.quantize %n
// CHECK-NEXT: slmq.yield %q8, %s
// CHECK: %[[Q:[0-9]+]] = slmq.strips 16 {
// CHECK-NEXT: %a = slmq.matmul %[[ROWS]] scale %[[SCALES]]
// CHECK-NEXT: slmq.yield %a
// CHECK: %[[K:[0-9]+]] = slmq.strips 16 {
// CHECK-NEXT: %k = slmq.matmul
// CHECK-NEXT: %kr = slmq.rope %k
// CHECK-NEXT: %kb = slmq.round %kr
// CHECK-NEXT: slmq.yield %kb
// CHECK: %[[ROUNDED:[0-9]+]] = slmq.rows(%[[Q]]) {
// CHECK: %qn = slmq.rms_norm
// CHECK-NEXT: %qb = slmq.round %qn
// CHECK-NEXT: slmq.yield %qb
// CHECK: slmq.attention %[[ROUNDED]], %[[K]], %[[K]]
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x16xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<8x16xf32>> as "f32" : tensor<?xi32> -> tensor<?x16xf32>
  %y = slm.layers "layers" [0, 0](%x) {
  ^bb0(%h: tensor<?x16xf32>):
    %n = slmq.rms_norm %h, #slm.weight<"n", tensor<16xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x16xf32>
    %q8, %s = slmq.quantize %n axes 1 : tensor<?x16xf32> -> tensor<?x16xi8>, tensor<?x1xf32>
    %a = slmq.matmul %q8 scale %s, #slm.weight<"q", tensor<16x16xf32>> as "i8" : tensor<?x16xi8> scale tensor<?x1xf32> -> tensor<?x2x8xf32>
    %qn = slmq.rms_norm %a, #slm.weight<"qn", tensor<2x8xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 2 : tensor<?x2x8xf32>
    %qb = slmq.round %qn : tensor<?x2x8xf32> -> tensor<?x2x8xbf16>
    %k = slmq.matmul %q8 scale %s, #slm.weight<"k", tensor<16x16xf32>> as "i8" : tensor<?x16xi8> scale tensor<?x1xf32> -> tensor<?x2x8xf32>
    %kr = slmq.rope %k, #slm.rotary<8, 10000.0, 64, 0, {}> : tensor<?x2x8xf32>
    %kb = slmq.round %kr : tensor<?x2x8xf32> -> tensor<?x2x8xbf16>
    %o = slmq.attention %qb, %kb, %kb state "layers.{i}.a" : tensor<?x2x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x2x8xf32>
    %o8, %os = slmq.quantize %o axes 2 : tensor<?x2x8xf32> -> tensor<?x2x8xi8>, tensor<?x1xf32>
    %p = slmq.matmul %o8 scale %os, #slm.weight<"o", tensor<16x16xf32>> as "i8" : tensor<?x2x8xi8> scale tensor<?x1xf32> -> tensor<?x16xf32>
    %r = slmq.add %h, %p : tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
    slm.yield %r : tensor<?x16xf32>
  } : tensor<?x16xf32> -> tensor<?x16xf32>
  func.return %y : tensor<?x16xf32>
}
