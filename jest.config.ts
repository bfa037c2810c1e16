/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';

const config: Config = {
  roots: ['<rootDir>/lib', '<rootDir>/test', '<rootDir>/example-app'],
  globalSetup: '<rootDir>/test/support/compiled.ts',
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  // The tests and the example app say what users say, and get the sources.
  moduleNameMapper: {
    '^passport-powerfolder$': '<rootDir>/lib/index.ts',
    '^passport-powerfolder/testing$': '<rootDir>/lib/testing/index.ts',
  },
  collectCoverageFrom: ['lib/**/*.ts', 'example-app/**/*.ts'],
  // Two more than the cores of a small machine: many tests wait for deadlines.
  maxWorkers: 4,
  // Only against tests that hang: none is there to measure time, the machine may be busy, and the registry slow.
  testTimeout: 600_000,
};

export default config;
