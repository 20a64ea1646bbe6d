//! The built pages of `web/dist` as a table of bytes for `src/web/assets.rs`: each file as it is, and by gzip.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    // The folder of this run: a build script may be of another checkout whose results were kept.
    let dist = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../web/dist").canonicalize()?;
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut table = String::new();
    writeln!(table, "static PAGE: Asset = {};", describe(&dist.join("index.html"), &out)?)?;
    writeln!(table, "static MWI: Asset = {};", describe(&dist.join("mwi.js"), &out)?)?;
    writeln!(table, "static ASSETS: &[Asset] = &[")?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(dist.join("a"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    files.sort();
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        writeln!(table, "    {},", describe(file, &out)?)?;
    }
    writeln!(table, "];")?;
    Ok(std::fs::write(out.join("assets.rs"), table)?)
}

fn describe(file: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("a file without a name")?;
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return Err(format!("{name}: a kind of file that isn't served").into()),
    };
    let packed = out.join(format!("{name}.gz"));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&std::fs::read(file)?)?;
    std::fs::write(&packed, encoder.finish()?)?;
    Ok(format!(
        "Asset {{ name: {name:?}, kind: {kind:?}, plain: include_bytes!({file:?}), gzip: include_bytes!({packed:?}) }}"
    ))
}
