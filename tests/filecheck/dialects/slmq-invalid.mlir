// RUN: not slmc opt %s
// CHECK: error: slmq.embed: an embedding table is f32, f16 or bf16, found "i8"
func.func @f(%t: tensor<?xi32>) {
  %x = slmq.embed %t, #slm.weight<"e", tensor<64x32xf32>> as "i8" : tensor<?xi32> -> tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slmq.embed: embed gives {{.*}} from a table of (64, 32)
func.func @f(%t: tensor<?xi32>) {
  %x = slmq.embed %t, #slm.weight<"e", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x31xf32>
  func.return
}
// -----
// CHECK: error: slmq.rms_norm: rms_norm of {{.*}} has a weight of shape (31,)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.rms_norm %x, #slm.weight<"w", tensor<31xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slmq.rms_norm: rms_norm works on f32, found tensor<?x32xbf16>
func.func @f(%x: tensor<?x32xbf16>) {
  %y = slmq.rms_norm %x, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xbf16>
  func.return
}
// -----
// CHECK: error: slmq.quantize:
func.func @f(%x: tensor<?x32xf32>) {
  %q, %s = slmq.quantize %x axes 1 : tensor<?x32xf32> -> tensor<?x31xi8>, tensor<?x1xf32>
  func.return
}
// -----
// CHECK: error: slmq.quantize: the scale of {{.*}} over 1 dimensions is f32
func.func @f(%x: tensor<?x32xf32>) {
  %q, %s = slmq.quantize %x axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slmq.round: round goes from f32 to bf16 or f16, found tensor<?x32xf32> -> tensor<?x32xf32>
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.round %x : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slmq.round: round keeps the shape
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.round %x : tensor<?x32xf32> -> tensor<?x31xbf16>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight as "bf16" does not go with tensor<?x32xf32>
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x32xf32>> as "bf16" : tensor<?x32xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: matmul 32 -> 8 has a weight of (8, 31)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x31xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: an i8 input, and only that, has a scale
func.func @f(%x: tensor<?x32xi8>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x32xf32>> as "i8" : tensor<?x32xi8> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: matmul gives f32, found tensor<?x8xbf16>
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x8xbf16>
  func.return
}
// -----
// CHECK: error: slmq.rope: rotary of 8 dimensions on tensor<?x4x6xf32>
func.func @f(%x: tensor<?x4x6xf32>) {
  %y = slmq.rope %x, #slm.rotary<8, 10000.0, 256, 0, {}> : tensor<?x4x6xf32>
  func.return
}
// -----
// CHECK: error: slmq.activation: unknown activation "swish" (known:
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.activation "swish" %x : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slmq.div: slmq.div of {{.*}} is {{.*}}, found
func.func @f(%x: tensor<?x32xf32>, %z: tensor<?x1xf32>) {
  %y = slmq.div %x, %z : tensor<?x32xf32>, tensor<?x1xf32> -> tensor<?x1xf32>
  func.return
}
// -----
// CHECK: error: slmq.attention: attention takes q [T, H, hd], k and v [T, G, hd], found
func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x2x6xf32>) {
  %y = slmq.attention %q, %k, %k state "s" : tensor<?x4x8xf32>, tensor<?x2x6xf32>, tensor<?x2x6xf32> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.attention: attention of tensor<?x4x8xf32> over tensor<?x2x8xbf16> and tensor<?x2x8xbf16> is not defined
func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x2x8xbf16>) {
  %y = slmq.attention %q, %k, %k state "s" : tensor<?x4x8xf32>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.attention: int8 keys and values, and only those, come with scales
func.func @f(%q: tensor<?x4x8xbf16>, %k: tensor<?x2x8xi8>) {
  %y = slmq.attention %q, %k, %k state "s" : tensor<?x4x8xbf16>, tensor<?x2x8xi8>, tensor<?x2x8xi8> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.attention: a state in int4 takes bf16 keys and values, found tensor<?x2x8xf32>
func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x2x8xf32>) {
  %y = slmq.attention %q, %k, %k state "s" int4 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.attention: a state in int4 takes bf16 keys and values, found tensor<?x2x8xi8>
func.func @f(%q: tensor<?x4x8xbf16>, %k: tensor<?x2x8xi8>, %s: tensor<?x2x1xf32>) {
  %y = slmq.attention %q, %k, %k scales %s, %s state "s" int4 : tensor<?x4x8xbf16>, tensor<?x2x8xi8>, tensor<?x2x8xi8> scales tensor<?x2x1xf32>, tensor<?x2x1xf32> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.attention: attention gives f32 of the shape of q
func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x2x8xf32>) {
  %y = slmq.attention %q, %k, %k state "s" : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xbf16>
  func.return
}
// -----
// CHECK: error: slmq.sample: sample takes logits [rows, V] and gives tensor<1xi32>, found tensor<?x4x8xf32>
func.func @f(%x: tensor<?x4x8xf32>) {
  %t = slmq.sample %x : tensor<?x4x8xf32> -> tensor<1xi32>
  func.return
}
// -----
// CHECK: error: slmq.strips: strips yields the values it results in
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.strips 8 {
    slmq.yield %x : tensor<?x32xf32>
  } : tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.strips: strips over 16 columns holds a matmul of 8
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.strips 16 {
    %m = slmq.matmul %x, #slm.weight<"w", tensor<8x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x8xf32>
    slmq.yield %m : tensor<?x8xf32>
  } : tensor<?x8xf32>
  func.return
}
