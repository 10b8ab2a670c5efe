"""Transformed images of a resident split: the pixels of a whole batch by one gather, or by four if bilinear.

Positions are integers in units of 1/65536 pixel (`cnnlab.augment.matrices.fixed_point`) and weights in units of 1/256:
equal pixels on every device and in `cnnlab.augment.reference`. Measured on one AVX-512 core, 32x32 colour,
microseconds per image: nearest 2, bilinear 11; torch's affine_grid and grid_sample 13 and 16 or more.

Shape legend: B images, H x W pixels. `starts_BH`, `steps_BW`: see `resident.py`; a negative sum is outside.
"""

import torch
import torch.nn.functional as F

_LANES = 0x00FF00FF  # every second byte of a word: room for products of 16 bits


def nearest_words(
    words: torch.Tensor, starts_BH: torch.Tensor, steps_BW: torch.Tensor, matrices_BG23: torch.Tensor
) -> torch.Tensor:
    """The words of the nearest pixels, B H W in one row, after G transformations, each of whole pixels.

    Positions go backwards: from the output's pixel to a pixel before the last transformation, and so on. So several
    transformations give the pixels that Pillow gives one after the other, without copying images between them.
    """
    height, width = starts_BH.shape[1], steps_BW.shape[1]
    first, *others = matrices_BG23.flip(1).unbind(1)
    x_BHW, y_BHW = positions(first, height, width)
    outside = None
    for matrix_B23 in others:
        column_BHW, row_BHW = x_BHW.bitwise_right_shift_(16), y_BHW.bitwise_right_shift_(16)
        # Negative where one of the four distances from the border is.
        beyond = (column_BHW | row_BHW).bitwise_or_(width - 1 - column_BHW).bitwise_or_(height - 1 - row_BHW)
        outside = beyond if outside is None else outside.bitwise_or_(beyond)
        terms = matrix_B23[..., None, None]
        x_BHW, y_BHW = (
            (column_BHW * terms[:, axis, 0]).add_(row_BHW * terms[:, axis, 1]).add_(terms[:, axis, 2])
            for axis in (0, 1)
        )
    starts, steps = (F.pad(table, (1, 1), value=-words.numel()) for table in (starts_BH, steps_BW))
    (start,), (step,) = _looked_up(starts, y_BHW >> 16, 1), _looked_up(steps, x_BHW >> 16, 1)
    index = start.add_(step).clamp_min_(0)
    if outside is not None:
        index.masked_fill_(outside.view(-1) < 0, 0)
    return words.index_select(0, index)


def bilinear_words(
    words: torch.Tensor, starts_BH: torch.Tensor, steps_BW: torch.Tensor, matrices_B23: torch.Tensor
) -> torch.Tensor:
    """Words mixed from the four nearest pixels. As in Pillow, pixels outside the border equal those at the border."""
    height, width = starts_BH.shape[1], steps_BW.shape[1]
    x_BHW, y_BHW = positions(matrices_B23, height, width)
    inside = (x_BHW >= 0).logical_and_(x_BHW < width << 16)
    inside.logical_and_(y_BHW >= 0).logical_and_(y_BHW < height << 16)
    x_BHW -= 32768  # half a pixel: positions now count from the centres of pixels
    y_BHW -= 32768
    right, below = ((p & 0xFFFF).add_(128).bitwise_right_shift_(8).view(-1) for p in (x_BHW, y_BHW))
    both = (right * below).add_(128).bitwise_right_shift_(8)
    starts, steps = (torch.cat([t[:, :1], t, t[:, -1:]], dim=1) for t in (starts_BH, steps_BW))
    top, bottom = _looked_up(starts, y_BHW >> 16, 2)
    left, other = _looked_up(steps, x_BHW >> 16, 2)
    corners = (
        (256 - right - below + both, top, left),
        (right - both, top, other),
        (below - both, bottom, left),
        (both, bottom, other),
    )
    even = torch.full_like(both, 0x00800080)  # half of 256 in both lanes: to the nearest value
    odd = even.clone()
    for weight, start, step in corners:
        pixels = words.index_select(0, (start + step).clamp_min_(0)).to(torch.int32)
        even.addcmul_(weight, pixels & _LANES)
        odd.addcmul_(weight, (pixels >> 8).bitwise_and_(_LANES))
    mixed = (even >> 8).bitwise_and_(_LANES).bitwise_or_(odd.bitwise_and_(~_LANES))
    return mixed.mul_(inside.view(-1)).to(words.dtype)


def positions(matrices_B23: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Column and row of the input, x and y, for every output pixel."""
    columns_W = torch.arange(width, dtype=torch.int32, device=matrices_B23.device)
    rows_H = torch.arange(height, dtype=torch.int32, device=matrices_B23.device)
    across = matrices_B23[:, :, 0, None] * columns_W
    down = matrices_B23[:, :, 1, None] * rows_H + matrices_B23[:, :, 2, None]
    return across[:, 0, None, :] + down[:, 0, :, None], across[:, 1, None, :] + down[:, 1, :, None]


def _looked_up(table_BL: torch.Tensor, places_BHW: torch.Tensor, number: int) -> list[torch.Tensor]:
    """Entries of each image's row of the table at positions from -1 on, and the `number` - 1 entries after each."""
    num_images, length = table_BL.shape
    first_B = torch.arange(num_images, dtype=torch.int32, device=table_BL.device) * length
    index = places_BHW.clamp_(-1, length - 1 - number).add_((first_B + 1)[:, None, None]).view(-1)
    return [table_BL.view(-1).index_select(0, index + further) for further in range(number)]
