//! Pillow's pixel mode of a file. CLIP-AD resizes in this mode, so the mode affects the pixels.

use ::image::{ColorType, ExtendedColorType, ImageFormat};

/// Pixel modes, with their effect on resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelMode {
    /// One bit per pixel (Pillow's `1`): resized to the nearest sample. One channel, 0 or 255.
    Bilevel,
    /// Indexed colours (Pillow's `P`): resized to the nearest sample. Three channels, the palette applied.
    Palette,
    /// Grey (Pillow's `L`). One channel.
    Gray,
    /// Grey and alpha (Pillow's `LA`): resized with premultiplied alpha. Two channels.
    GrayAlpha,
    /// Colour (Pillow's `RGB`). Three channels.
    Rgb,
    /// Colour and alpha (Pillow's `RGBA`): resized with premultiplied alpha. Four channels.
    Rgba,
}

impl PixelMode {
    /// Channels per pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Bilevel | Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Palette | Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// The mode of a file, from its first bytes and the decoder's colour type.
    pub(super) fn of(
        format: ImageFormat,
        bytes: &[u8],
        decoded: ColorType,
        original: ExtendedColorType,
    ) -> Self {
        let by_file = match format {
            ImageFormat::Png => png(bytes),
            ImageFormat::Bmp => bmp(bytes),
            ImageFormat::Gif => Some(gif(bytes)),
            _ if original == ExtendedColorType::L1 => Some(Self::Bilevel),
            _ => None,
        };
        by_file.unwrap_or(match decoded {
            ColorType::L8 | ColorType::L16 => Self::Gray,
            ColorType::La8 | ColorType::La16 => Self::GrayAlpha,
            ColorType::Rgba8 | ColorType::Rgba16 | ColorType::Rgba32F => Self::Rgba,
            _ => Self::Rgb,
        })
    }
}

/// From the header chunk. The decoder's colour type is not enough: a `tRNS` chunk adds a channel there, but
/// not in Pillow.
fn png(bytes: &[u8]) -> Option<PixelMode> {
    match (bytes.get(25)?, bytes.get(24)?) {
        (0, 1) => Some(PixelMode::Bilevel),
        (0, _) => Some(PixelMode::Gray),
        (2, _) => Some(PixelMode::Rgb),
        (3, _) => Some(PixelMode::Palette),
        (4, _) => Some(PixelMode::GrayAlpha),
        (6, _) => Some(PixelMode::Rgba),
        _ => None,
    }
}

/// Indexed with eight bits or less; grey if the palette is the grey ramp.
fn bmp(bytes: &[u8]) -> Option<PixelMode> {
    let u16_at = |i: usize| Some(u16::from_le_bytes(bytes.get(i..i + 2)?.try_into().ok()?));
    let u32_at = |i: usize| Some(u32::from_le_bytes(bytes.get(i..i + 4)?.try_into().ok()?));
    let header = u32_at(14)? as usize;
    // The oldest header has sides of 16 bits and palette entries of three bytes.
    let (bits, entry) = if header == 12 { (u16_at(24)?, 3) } else { (u16_at(28)?, 4) };
    if bits > 8 {
        return None;
    }
    let listed = if header == 12 { 0 } else { u32_at(46)? as usize };
    let count = if listed == 0 || listed > 256 { 1 << bits } else { listed };
    let palette = bytes.get(14usize.checked_add(header)?..)?.chunks_exact(entry).take(count);
    let ramp = palette.enumerate().all(|(i, c)| {
        let grey = if count == 2 { i * 255 } else { i } as u8;
        c[..3] == [grey; 3]
    });
    Some(match (ramp, count) {
        (true, 2) => PixelMode::Bilevel,
        (true, _) => PixelMode::Gray,
        (false, _) => PixelMode::Palette,
    })
}

/// Indexed, or grey if the palette is the grey ramp.
fn gif(bytes: &[u8]) -> PixelMode {
    let ramp = bytes.get(10).is_some_and(|flags| flags & 0x80 != 0)
        && bytes.get(13..).is_some_and(|table| {
            let count = 2usize << (bytes[10] & 7);
            let mut entries = table.as_chunks::<3>().0.iter().take(count).enumerate();
            entries.all(|(i, c)| *c == [i as u8; 3])
        });
    if ramp { PixelMode::Gray } else { PixelMode::Palette }
}
