// RUN: not slmc opt %s -p 'convert-slm-to-slmq{scheme="fp32"}'
// CHECK: error: a sinusoid of other than positions has no exact form
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %s = slm.sinusoid %tokens : tensor<?xi32> -> tensor<?x32xf32>
  func.return %s : tensor<?x32xf32>
}
