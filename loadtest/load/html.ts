/** The report as one HTML page that needs nothing else: style, script and numbers are in it. */
import { readFileSync } from 'node:fs';
import type { LoadReport } from './report.ts';

const part = (name: string) => readFileSync(new URL(`./page/${name}`, import.meta.url), 'utf8');

export function htmlReport(report: LoadReport): string {
  // Nothing in it can end the script element it stands in.
  const numbers = JSON.stringify(report).replaceAll('<', '\\u003c');
  return part('report.html')
    .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>\n${part('report.css')}</style>`)
    .replace('id="report">null<', () => `id="report">${numbers}<`)
    .replace(/<script src="report.js"><\/script>/, () => `<script>\n${part('report.js')}</script>`);
}
