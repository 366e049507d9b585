"""What an installed Taper promises and its shared library must keep; used by package.py.

The compiler tells which functions the installed headers declare (its debug information lists even
those that nobody calls). A generated library takes the address of each and holds the code of every
inline function, unoptimised: what it needs and the shared library does not export is wrong.
"""

import re
from pathlib import Path

# A name of namespace taper, or what the compiler makes for one. `std::vector<...> taper::f<...>()`
# is the template f, whose name begins with its result.
OURS = re.compile(r"(?:(?:vtable|typeinfo|typeinfo name|guard variable|TLS \w+ function|VTT|"
                  r"(?:non-)?virtual thunk) (?:for|to) )?taper::")
TEMPLATE = re.compile(r"_ZNK?[RO]?5taper")
DECLARED = re.compile(r"DW_AT_(?:MIPS_)?linkage_name\s*:.*?(_ZN[KRO]*5taper\w+)")
KEEP_ALL = ["-g", "-fno-eliminate-unused-debug-types", "-fno-eliminate-unused-debug-symbols",
            "-femit-class-debug-always"]
# What projects compile with; our headers must not be what they warn of.
USERS_WARNINGS = """-Werror -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wuseless-cast -Wextra-semi -Wcast-qual
    -Wcast-align -Wduplicated-cond -Wlogical-op -Wdouble-promotion -Wformat=2 -Wredundant-decls
    -Wmissing-declarations -Wundef -Wzero-as-null-pointer-constant -Wsuggest-override
    -Wswitch-default""".split()
PUBLIC = re.compile(r"\bTAPER_API\b")


def check_no_others(run, library, problems):
    """Nothing of the libraries within is exported, and what errors are caught by is."""
    symbols = defined(run, library, "-D")
    names = demangled(run, symbols)
    for symbol, name in zip(symbols, names):
        if not OURS.match(name) and not TEMPLATE.match(symbol):
            problems.append(f"libtaper.so exports {name}")
    for wanted in ["typeinfo for taper::Error", "vtable for taper::Error", "taper::tape_on"]:
        if wanted not in names:
            problems.append(f"libtaper.so does not export {wanted}")


def defined(run, library, *options):
    lines = run("nm", "nm", *options, "--defined-only", library).splitlines()
    return sorted({line.split()[2] for line in lines if len(line.split()) == 3})


def kept_symbols(run, library, templates):
    """What the library has and its headers do not: no inline function, and no thread-local
    variable, which the generated program could not refer to."""
    strong, weak = set(), set()
    for line in run("readelf", "readelf", "-sW", library).splitlines():
        parts = line.split()
        if len(parts) == 8 and parts[3] != "TLS" and parts[6] != "UND":
            {"GLOBAL": strong, "WEAK": weak}.get(parts[4], set()).add(parts[7])
    # Members of a template are weak, also where only the library instantiates it.
    names = demangled(run, sorted(weak))
    strong |= {symbol for symbol, name in zip(sorted(weak), names) if name.startswith(templates)}
    return sorted(strong)


def demangled(run, symbols):
    return run("c++filt", "c++filt", input="\n".join(symbols)).splitlines()


def templates_of(root):
    """The class templates that only the library instantiates, as `taper::nn::BatchNorm<`."""
    found = []
    for path in root.glob("taper/**/*.cpp"):
        text = path.read_text()
        spaces = re.findall(r"^namespace ([\w:]+) {", text, re.M)
        found += [f"{space}::{name}<" for space in spaces
                  for name in re.findall(r"^template (?:class|struct) (\w+)<", text, re.M)]
    return tuple(found)


def promised(run, root, work, prefix):
    """The symbols of the static library that the installed headers declare, tables of virtual
    functions and types of their classes included."""
    source, compiled = work / "all.cpp", work / "all.o"
    source.write_text("#include <taper/taper.h>\n")
    run("all headers", "g++", "-std=c++20", f"-I{prefix}/include", "-O0", *USERS_WARNINGS,
        *KEEP_ALL, "-c", source, "-o", compiled)
    text = run("readelf", "readelf", "--debug-dump=info", compiled)
    declared = set()
    for name in DECLARED.findall(text):
        # Constructors and destructors are declared without saying which of their variants.
        declared |= {re.sub(r"(?<=\D)([CD])4(?=E)", rf"\g<1>{i}", name) for i in "12"}
    classes = {name.rsplit("::", 1)[0]
               for name in (re.sub(r"\(.*", "", name) for name in demangled(run, sorted(declared)))
               if "::" in name}
    kept = kept_symbols(run, prefix / "lib/libtaper.a", templates_of(root))
    tables = {symbol for symbol, name in zip(kept, demangled(run, kept))
              if re.sub(r"^(vtable|typeinfo) for ", "", name) in classes
              and symbol.startswith(("_ZTV", "_ZTI"))}
    return sorted((declared | tables) & set(kept))


def check_uses(run, work, prefix, symbols, problems):
    """Builds what needs all of `symbols` and every inline function, and compares. It is a library,
    as no program can hold all of libstdc++'s inline functions."""
    declarations = "".join(f'extern const char s{i} __asm__("{symbol}");\n'
                           for i, symbol in enumerate(symbols))
    uses = "".join(f"    &s{i},\n" for i in range(len(symbols)))
    (work / "uses.cpp").write_text(
        f"{declarations}extern const char* const uses[];\n"
        f"const char* const uses[] = {{\n{uses}}};\n")
    library = work / "uses.so"
    run("what needs every public function", "g++", "-std=c++20", "-O0", "-fkeep-inline-functions",
        "-fPIC", "-shared", f"-I{prefix}/include", work / "all.cpp", work / "uses.cpp", "-o",
        library)
    if not library.exists():
        return
    needed = {line.split()[-1]
              for line in run("nm", "nm", "-D", "--undefined-only", library).splitlines()}
    missing = sorted(needed - set(defined(run, prefix / "lib/libtaper.so", "-D")))
    for name in demangled(run, missing):
        if OURS.search(name):
            problems.append(f"libtaper.so does not export {name}, which a public header declares")


def check_headers(root, prefix, problems):
    """Headers that say TAPER_API, or that the documentation names, are installed."""
    for header in sorted(root.glob("taper/**/*.h")):
        name = header.relative_to(root).as_posix()
        if name != "taper/core/api.h" and PUBLIC.search(header.read_text()):
            if not (prefix / "include" / name).exists():
                problems.append(f"{name} says TAPER_API and is not installed")
    pages = set(root.glob("docs/*.md")) - {root / "docs/adding_an_op.md"}  # that is for Taper's own
    for page in [root / "README.md", *sorted(pages)]:
        for name in re.findall(r"#include <(taper/[^>]+)>", page.read_text()):
            if not (prefix / "include" / name).exists():
                problems.append(f"{page.name} includes <{name}>, which is not installed")


def check(run, root, work, prefix, problems):
    check_no_others(run, prefix / "lib/libtaper.so", problems)
    check_headers(Path(root), prefix, problems)
    symbols = promised(run, root, work, prefix)
    if len(symbols) < 300:
        problems.append(f"only {len(symbols)} public functions were found")
    check_uses(run, work, prefix, symbols, problems)
