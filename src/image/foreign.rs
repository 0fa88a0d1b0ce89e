//! Formats of pictures that are recognised and not read.

/// The name of the format; `None`: unknown.
pub(super) fn format(bytes: &[u8]) -> Option<&'static str> {
    let brand = bytes.get(4..8).filter(|kind| *kind == b"ftyp").and_then(|_| bytes.get(8..12));
    let begins = |start: &[u8]| bytes.starts_with(start);
    Some(match brand {
        Some(b"avif" | b"avis") => "AVIF",
        Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => "HEIC",
        Some(b"crx ") => "raw camera data",
        _ if begins(b"\0\0\0\x0cjP  \r\n\x87\n") || begins(b"\xFF\x4F\xFF\x51") => "JPEG 2000",
        _ if begins(b"\xFF\x0A") || begins(b"\0\0\0\x0cJXL \r\n\x87\n") => "JPEG XL",
        _ if bytes.get(128..132) == Some(b"DICM") => "DICOM",
        _ if begins(b"FUJIFILMCCD-RAW") || begins(b"IIRO") || begins(b"IIU\0") || begins(b"FOVb") => {
            "raw camera data"
        }
        _ if begins(b"8BPS") => "Photoshop",
        _ if begins(b"\x76\x2f\x31\x01") => "OpenEXR",
        _ if begins(b"Pf\n") || begins(b"PF\n") => "PFM",
        _ if begins(b"P7\n") => "PAM",
        _ if begins(b"#?RADIANCE") || begins(b"#?RGBE") => "Radiance HDR",
        _ if begins(b"SIMPLE  =") => "FITS",
        _ if begins(b"\x89HDF\r\n\x1a\n") => "HDF5",
        _ if begins(b"\x93NUMPY") => "NumPy",
        _ if begins(b"%PDF") => "PDF",
        _ => return None,
    })
}
