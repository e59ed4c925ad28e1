await Ctr.start(Array(CommandLine.arguments.dropFirst()))
