/** For a process that knows nothing of it, by `--require`: at SIGUSR2 it writes down a measure. */
import { measure } from './measure.ts';

process.on('SIGUSR2', () => {
  console.log(JSON.stringify({ msg: 'measured', ...measure() }));
});
