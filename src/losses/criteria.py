"""Criteria that compare two maps, safe under autocast: logits in, everything in fp32."""

import torch.nn.functional as F
from torch import Tensor, nn


class BinaryCrossEntropy(nn.Module):
    """Mean binary cross-entropy of logits and a soft mask, both `(B, 1, H, W)`.

    Equals the authors' BCE on probabilities, without its overflow: where a probability rounds to
    0 or 1 the gradient still flows.
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), mask.float())


class ChannelKL(nn.Module):
    """KL divergence between channel distributions, averaged over all elements (IS-Net's option).

    Args of `forward`: the student's features and the teacher's, both `(B, C, H, W)`.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        log_student, of_teacher = student.float().log_softmax(1), teacher.float().softmax(1)
        divergence = F.kl_div(log_student, of_teacher, reduction="none")
        return divergence.mean()
