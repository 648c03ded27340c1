"""t"""
from gpustd.gemm import gemm
from gpustd.conv import conv2d

