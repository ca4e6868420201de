// The target's dialect by its name in the plan: a new platform adds lib/dialects/<name>.js and nothing else.
import { plan } from './config.js';

export const dialect = require(`./dialects/${plan.dialect}.js`);
