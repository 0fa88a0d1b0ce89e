//! How a picture must be turned, from the places where cameras and programs write it.

use ::image::metadata::Orientation;

/// From the content of an EXIF block, a TIFF structure, else from XMP, as Pillow reads them.
pub(super) fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Option<Orientation> {
    exif.and_then(|exif| Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)))
        .or_else(|| of_xmp(xmp?))
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6</tiff:Orientation>`.
fn of_xmp(xmp: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = xmp.windows(NAME.len()).position(|name| name == NAME)?;
    let value = &xmp[at + NAME.len()..];
    let value = value.strip_prefix(b"=\"").or_else(|| value.strip_prefix(b">"))?;
    Orientation::from_exif(value.first()?.wrapping_sub(b'0'))
}

/// From the chunks of a PNG file, also those after the pixels.
pub(super) fn of_png(bytes: &[u8]) -> Option<Orientation> {
    let (mut exif, mut xmp) = (None, None);
    let mut rest = bytes.get(8..)?;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((chunk, after)) = after.split_at_checked(length.saturating_add(4)) else { break };
        if let Some(content) = chunk.strip_prefix(b"eXIf") {
            exif = exif.or(Some(content));
        } else if let Some(content) = chunk.strip_prefix(b"iTXtXML:com.adobe.xmp\0") {
            xmp = xmp.or(Some(content));
        }
        // The checksum.
        rest = after.get(4..).unwrap_or_default();
    }
    of(exif, xmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exif_comes_before_xmp() {
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let attribute = b"<rdf:Description tiff:Orientation=\"3\"/>";
        let element = b"<tiff:Orientation>8</tiff:Orientation>";
        assert_eq!(of(Some(exif), Some(attribute)), Some(Orientation::Rotate90));
        assert_eq!(of(None, Some(attribute)), Some(Orientation::Rotate180));
        assert_eq!(of(Some(b"MM"), Some(element)), Some(Orientation::Rotate270));
        assert_eq!(of(None, Some(b"tiff:Orientation>9")), None);
    }
}
