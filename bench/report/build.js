export function buildReport() {
  return "todo";
}
