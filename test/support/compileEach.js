// `compileEach.js COMPILER TSCONFIG…` compiles programs with a TypeScript compiler that has an API, in one process,
// which parses the shared declarations once. It prints a JSON list with the errors of each program as text, empty if
// there are none.
import { createRequire } from "node:module";

const [compiler, ...configs] = process.argv.slice(2);
const ts = createRequire(import.meta.url)(compiler);

/** Parsed files that are not of the programs: the language's own declarations, and those of @types. */
const parsed = new Map();

function compile(config) {
  const onUnRecoverableConfigFileDiagnostic = ({ messageText }) => {
    throw new Error(`${config}: ${messageText}`);
  };
  const { options, fileNames, errors } = ts.getParsedCommandLineOfConfigFile(config, undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic,
  });
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile;
  host.getSourceFile = (path, how, ...rest) => {
    if (!/\/typescript[^/]*\/lib\/|\/@types\//.test(path)) return read(path, how, ...rest);
    const key = `${path} ${how.languageVersion} ${how.impliedNodeFormat}`;
    if (!parsed.has(key)) parsed.set(key, read(path, how, ...rest));
    return parsed.get(key);
  };
  const program = ts.createProgram({ rootNames: fileNames, options, host });
  if (fileNames.length === 0) throw new Error(`${config} names no program`);
  return ts.formatDiagnostics([...errors, ...ts.getPreEmitDiagnostics(program)], {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => process.cwd(),
    getNewLine: () => "\n",
  });
}

console.log(JSON.stringify(configs.map(compile)));
