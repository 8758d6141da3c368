// Byte-compiles Python with Pyodide itself, so that the magic number is that of the interpreter that will load it.
//
//   node compile.mjs runtime OUT    the interpreter's files from the npm package `pyodide`, its standard library compiled
//   node compile.mjs packages DIR   every module of the installed packages in DIR, in place
//   node compile.mjs project PACK DIR MADE_BY STDLIB
//                                   what DIR lacks of the Worker's own modules in PACK: see compiled.py. STDLIB is the
//                                   compiled one that the job `runtime` has made: Pyodide starts in a third of the time
//
// Compiled ahead, the interpreter starts in about a third of the time and `import pydantic` in half.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

// the project's own, wherever this file is installed
const PYODIDE = dirname(createRequire(join(process.cwd(), "package.json")).resolve("pyodide"));
const { loadPyodide } = await import(pathToFileURL(join(PYODIDE, "pyodide.mjs")));

const COMPILE_STDLIB = `
import importlib._bootstrap_external as bootstrap, importlib.util, sys, zipfile

home = "/lib/python%d%d.zip/" % sys.version_info[:2]
with zipfile.ZipFile("/sources.zip") as sources, zipfile.ZipFile("/compiled.zip", "w", zipfile.ZIP_STORED) as compiled:
    for item in sources.infolist():
        data = sources.read(item)
        if item.filename.endswith(".py"):
            code = compile(data, home + item.filename, "exec", dont_inherit=True)
            data = bootstrap._code_to_hash_pyc(code, importlib.util.source_hash(data), checked=False)
            compiled.writestr(zipfile.ZipInfo(item.filename + "c"), data)
        elif not item.is_dir():
            compiled.writestr(zipfile.ZipInfo(item.filename), data)
`;

// the paths written into the code objects are those that the Worker's tracebacks will show
const COMPILE_PACKAGES = `
import compileall, py_compile

unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
compileall.compile_dir("/packages", quiet=2, invalidation_mode=unchecked, stripdir="/packages",
    prependdir="/session/metadata/python_modules")
`;

const COMPILE_PROJECT = `
import sys
from pathlib import Path

sys.path.append("/program")
from offline_python_workers.compiled import CompiledModules

CompiledModules(Path("/made"), made_by).make(Path("/project.pack").read_bytes())
`;

async function runtime(out) {
  const python = await loadPyodide();
  python.FS.writeFile("/sources.zip", readFileSync(join(PYODIDE, "python_stdlib.zip")));
  python.runPython(COMPILE_STDLIB);
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "python_stdlib.zip"), python.FS.readFile("/compiled.zip"));
  for (const file of ["pyodide.asm.mjs", "pyodide.asm.wasm"]) copyFileSync(join(PYODIDE, file), join(out, file));
  const { info } = JSON.parse(readFileSync(join(PYODIDE, "pyodide-lock.json"), "utf8"));
  writeFileSync(join(out, "lock-info.mjs"), `export default ${JSON.stringify(info)};\n`);
}

async function packages(directory) {
  const python = await loadPyodide();
  python.FS.mkdirTree("/packages");
  python.FS.mount(python.FS.filesystems.NODEFS, { root: directory }, "/packages");
  python.runPython(COMPILE_PACKAGES);
}

async function project(pack, directory, madeBy, stdLibURL) {
  const python = await loadPyodide({ stdLibURL });
  for (const name of ["made", "program/offline_python_workers"]) python.FS.mkdirTree(`/${name}`);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: directory }, "/made");
  python.FS.writeFile("/project.pack", readFileSync(pack));
  for (const name of ["__init__.py", "atomic.py", "compiled.py"])
    python.FS.writeFile(`/program/offline_python_workers/${name}`, readFileSync(new URL(name, import.meta.url)));
  python.globals.set("made_by", madeBy);
  python.runPython(COMPILE_PROJECT);
}

const [job, ...args] = process.argv.slice(2);
await { runtime, packages, project }[job](...args);
process.exit(0); // Pyodide keeps Node alive otherwise
